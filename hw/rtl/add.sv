// Sum of two streams, element by element: the join of a residual fork.
//
// PARAMETERS
//   LANES         elements in a word
//   A, A_SIGNED, B, B_SIGNED   bits of the operands, and whether they are two's complement
//   Y             bits of the sum, which holds every sum
//
// PORTS    a, b: streams that are read together; out: stream
//
// HANDSHAKE  a_ready depends on b_valid and out_ready, b_ready on a_valid and out_ready; out_valid and out_data
//            come from registers
// LATENCY    1 clock
// THROUGHPUT one word per clock
module add #(
    parameter int LANES = 1,
    parameter int A = 8,
    parameter bit A_SIGNED = 1,
    parameter int B = 8,
    parameter bit B_SIGNED = 1,
    parameter int Y = 9
) (
    input  logic clk,
    input  logic rst,
    input  logic a_valid,
    output logic a_ready,
    input  logic [LANES*A-1:0] a_data,
    input  logic b_valid,
    output logic b_ready,
    input  logic [LANES*B-1:0] b_data,
    output logic out_valid,
    input  logic out_ready,
    output logic [LANES*Y-1:0] out_data
);
    wire advance = !out_valid || out_ready;
    assign a_ready = advance && b_valid;
    assign b_ready = advance && a_valid;
    always_ff @(posedge clk) begin
        if (rst) out_valid <= 1'b0;
        else if (advance) out_valid <= a_valid && b_valid;
    end
    generate
        for (genvar i = 0; i < LANES; i++) begin : element
            logic signed [Y-1:0] left, right;
            if (A_SIGNED) begin : two_a
                assign left = Y'($signed(a_data[i*A+:A]));
            end else begin : magnitude_a
                assign left = Y'(a_data[i*A+:A]);
            end
            if (B_SIGNED) begin : two_b
                assign right = Y'($signed(b_data[i*B+:B]));
            end else begin : magnitude_b
                assign right = Y'(b_data[i*B+:B]);
            end
            always_ff @(posedge clk) if (advance) out_data[i*Y+:Y] <= left + right;
        end
    endgenerate
endmodule
