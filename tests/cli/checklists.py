"""What the doctor printed."""


def checks(output: str) -> dict[str, tuple[str, str]]:
    """Give verdict and words of each check."""
    lines = [(line[:9].strip(), line[9:24].strip(), line[24:]) for line in output.splitlines()]
    assert len({check for _, check, _ in lines}) == len(lines)
    return {check: (verdict, words) for verdict, check, words in lines}


def verdicts(output: str) -> dict[str, str]:
    return {check: verdict for check, (verdict, _) in checks(output).items()}
