// Simulation only: writes every word that passes a stream to a file, one per line: the clock, and the word in
// hexadecimal digits.
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
    longint cycle;
    initial begin
        file = $fopen(FILE, "w");
        cycle = 0;
    end
    always @(posedge clk) begin
        cycle <= cycle + 1;
        if (!rst && valid && ready) $fwrite(file, "%0d %h\n", cycle, data);
    end
    final $fclose(file);
endmodule
