"""Language channels: which sources go into which row, and how deep the floor is ducked."""
