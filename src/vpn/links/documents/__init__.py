"""Subscription documents: several links as one text, in the formats that clients fetch.

All are written from the same list of nodes (`nodes`); `formats` knows which there are and which client wants which,
`profile` what is said in the headers. A node that a format cannot express is left out, never written wrongly.
"""
