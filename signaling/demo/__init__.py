"""The demo meeting: a speech loop and two interpreters, with nobody there."""
