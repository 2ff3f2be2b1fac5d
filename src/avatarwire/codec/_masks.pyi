# How compiled modules find each other's functions.
__pyx_capi__: dict[str, object]

def discard() -> None: ...
