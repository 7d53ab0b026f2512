"""What a learned step of any quantizer is at least; in a file that needs neither torch nor TensorFlow."""

SMALLEST_STEP = 2.0**-24
