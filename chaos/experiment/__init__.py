"""An experiment from its data to its results: scenario, lab, runner, judge."""
