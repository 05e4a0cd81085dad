"""What becomes of a workflow whose worker dies at the worst moment: `temporal-chaos probe`.

Two undisturbed runs say what is normal (`baseline`). Each further run is disturbed once, at one
boundary, and what its evidence shows that is not normal gets a name (`classify`, `fate`).
"""
