"""Fail when the package exports a name whose type a checker does not know.

It reads what ``pyright --verifytypes avatarwire --ignoreexternal --outputjson`` has written.
What is written against a framework is left out: its types are known where that is installed, and
checked there by mypy.
"""

import json
import sys

ADAPTERS = ("avatarwire.livekit", "avatarwire.pipecat", "avatarwire.fleet")


def main() -> None:
    """Print each such name, and why."""
    report = json.load(sys.stdin)["typeCompleteness"]
    unknown = [
        symbol
        for symbol in report["symbols"]
        if symbol["isExported"]
        and not symbol["isTypeKnown"]
        and not symbol["name"].startswith(ADAPTERS)
    ]
    for symbol in unknown:
        print(symbol["name"], *(said["message"] for said in symbol["diagnostics"]), sep="\n    ")
    print(f"{len(report['symbols'])} names, {len(unknown)} of an unknown type")
    sys.exit(bool(unknown))


if __name__ == "__main__":
    main()
