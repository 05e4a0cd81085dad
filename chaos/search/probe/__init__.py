"""`temporal-chaos probe`: what happens to a workflow when its worker dies at the worst time. Two
undisturbed runs show what is normal (`baseline`). Each further run is disturbed once, at one
boundary; deviations in its evidence are classified (`classify`, `Fate`).
"""
