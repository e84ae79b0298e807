"""The rider edge agent: prints orders, sounds alerts, reports positions, online or not."""

__version__ = "0.1.0"
