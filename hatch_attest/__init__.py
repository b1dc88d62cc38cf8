"""Signs each wheel and sdist as Hatch builds it, and publishes artifacts and attestations together."""

__version__ = "0.1.0"
