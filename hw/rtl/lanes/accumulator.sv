// Accumulator register: starts from a sum or adds it, modulo 2^ACC; latency one clock.
//
// PARAMETERS
//   W        bits of the sum, at most ACC
//   SIGNED   1: the sum is two's complement
//   ACC      bits of the accumulator
//
// PORTS
//   valid    this clock brings a sum; otherwise the register stands still
//   first    the sum opens a dot product: the register takes it instead of adding it
module accumulator #(
    parameter int W = 8,
    parameter bit SIGNED = 0,
    parameter int ACC = 16
) (
    input  logic clk,
    input  logic valid,
    input  logic first,
    input  logic [W-1:0] sum,
    output logic [ACC-1:0] acc
);
    (* keep *) logic [W-1:0] term;
    logic [ACC-1:0] wide;
    assign term = sum;
    generate
        if (SIGNED) begin : extend_sign
            assign wide = ACC'($signed(term));
        end else begin : extend_zero
            assign wide = ACC'(term);
        end
    endgenerate
    always_ff @(posedge clk)
        if (valid) acc <= wide + (first ? {ACC{1'b0}} : acc);
endmodule
