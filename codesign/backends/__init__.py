"""Integer graphs to hardware projects."""
