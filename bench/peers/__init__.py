# SPDX-License-Identifier: MIT
"""The Python peers of graven.Map: what each is, how each is used, and the cases they share."""
