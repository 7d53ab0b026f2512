"""Names of what lies in a project folder."""

MODEL_FILE = "model.onnx"
GRAPH_FILE = "graph.cdg"
MAP_FILE = "map.json"
