// Every word of a stream to each of N readers.
//
// PARAMETERS
//   N        readers
//   WIDTH    bits of a word
//
// PORTS    in: stream; out: N streams that share out_data, reader i has out_valid[i] and out_ready[i]
//
// HANDSHAKE  A reader may take the word before the others; `in` moves on when all have. in_ready depends on
//            out_ready, out_valid does not.
// LATENCY    none
// THROUGHPUT one word per clock when all readers are ready
module stream_fork #(
    parameter int N = 2,
    parameter int WIDTH = 8
) (
    input  logic clk,
    input  logic rst,
    input  logic in_valid,
    output logic in_ready,
    input  logic [WIDTH-1:0] in_data,
    output logic [N-1:0] out_valid,
    input  logic [N-1:0] out_ready,
    output logic [WIDTH-1:0] out_data
);
    logic [N-1:0] done;
    assign out_data = in_data;
    assign out_valid = {N{in_valid}} & ~done;
    assign in_ready = &(done | out_ready);
    always_ff @(posedge clk) begin
        if (rst || (in_valid && in_ready)) done <= '0;
        else if (in_valid) done <= done | out_ready;
    end
endmodule
