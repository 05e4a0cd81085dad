"""`temporal-chaos probe`: what becomes of a workflow when its worker dies at the worst moment.

Two undisturbed runs show what is normal (`baseline`). Each further run is disturbed once, at one
boundary; what its evidence shows that is not normal gets a name (`classify`, `Fate`).
"""
