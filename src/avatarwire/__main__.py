"""``python -m avatarwire`` is the ``avatarwire`` command."""

from avatarwire.cli import main

if __name__ == "__main__":
    main()
