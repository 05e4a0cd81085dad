"""What must hold of the video workflows, besides what holds of any."""
