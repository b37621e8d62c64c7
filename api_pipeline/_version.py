"""The version, apart from the package's face, so that low rooms need not know it."""

__version__ = "0.1.0"
