"""Which version this is; the packaging reads it, too."""

VERSION = "0.1.0"
