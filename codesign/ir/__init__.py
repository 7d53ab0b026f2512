"""The integer graph: types, operators, exact execution, passes and file format."""
