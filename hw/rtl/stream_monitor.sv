// Simulation only: writes every word that passes a stream to a file, one per line in hexadecimal digits.
//
// PARAMETERS
//   WIDTH    bits of a word
//   FILE     name of the file
//
// PORTS    valid, ready, data: of the stream, watched only
module stream_monitor #(
    parameter int WIDTH = 8,
    parameter FILE = ""
) (
    input logic clk,
    input logic rst,
    input logic valid,
    input logic ready,
    input logic [WIDTH-1:0] data
);
    int file;
    initial file = $fopen(FILE, "w");
    always_ff @(posedge clk) if (!rst && valid && ready) $fwrite(file, "%h\n", data);
    final $fclose(file);
endmodule
