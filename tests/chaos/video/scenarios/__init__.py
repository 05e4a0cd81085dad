"""The scenarios of the video workflows, one file each; the file's name is the scenario's name."""
