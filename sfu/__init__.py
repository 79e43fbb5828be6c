"""Selective forwarding: peers behind one UDP port, ICE-lite, the aiortc seam, tracks and slots."""
