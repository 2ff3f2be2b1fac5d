"""Names what only the native modules import, and what is loaded by its name.

The emulator and the command are not named: PyInstaller finds them when a program imports them.
"""

from PyInstaller.utils.hooks import collect_submodules

hiddenimports = [
    *collect_submodules("avatarwire.codec"),
    *collect_submodules("avatarwire.rfc6455"),
    *collect_submodules("avatarwire.session"),
    *collect_submodules("avatarwire.streaming"),
    *collect_submodules("avatarwire.transport"),
    # By these names avatarwire.transport.loading loads them.
    "anyio",
    "encodings.idna",
    "http.cookiejar",
    "httpcore",
    "httpx",
    "urllib.request",
]
