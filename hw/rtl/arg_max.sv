// Index of the greatest feature, the lowest index on a tie.
//
// PARAMETERS
//   X, X_SIGNED  bits of a feature, and whether it is two's complement
//   FEATURES     features of a frame, which come one by one
//   Y            bits of an index
//
// PORTS    in: stream of features; out: stream of indices, one per frame
//
// HANDSHAKE  in_ready depends on out_ready; out_valid and out_data come from registers
// LATENCY    1 clock from the last feature of a frame
// THROUGHPUT one feature per clock
module arg_max #(
    parameter int X = 16,
    parameter bit X_SIGNED = 1,
    parameter int FEATURES = 10,
    parameter int Y = 4
) (
    input  logic clk,
    input  logic rst,
    input  logic in_valid,
    output logic in_ready,
    input  logic [X-1:0] in_data,
    output logic out_valid,
    input  logic out_ready,
    output logic [Y-1:0] out_data
);
    localparam int COUNT = $clog2(FEATURES + 1);
    logic [COUNT-1:0] count;
    logic signed [X:0] value, best;
    logic [Y-1:0] best_index;
    wire advance = !out_valid || out_ready;
    wire step = in_valid && advance;
    wire last = count == COUNT'(FEATURES - 1);
    wire better = count == 0 || value > best;
    assign in_ready = advance;
    generate
        if (X_SIGNED) begin : two
            assign value = (X + 1)'($signed(in_data));
        end else begin : magnitude
            assign value = (X + 1)'(in_data);
        end
    endgenerate
    always_ff @(posedge clk) begin
        if (rst) begin
            count <= '0;
            out_valid <= 1'b0;
        end else begin
            if (step) count <= last ? '0 : count + 1'b1;
            if (advance) out_valid <= step && last;
        end
        if (step) begin
            if (better) begin
                best <= value;
                best_index <= Y'(count);
            end
            if (last) out_data <= better ? Y'(count) : best_index;
        end
    end
endmodule
