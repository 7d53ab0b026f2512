// The one constant multiply of a dot product with POST weights: y = 128 * acc_even + 181 * acc_odd; combinational.
//
// PARAMETERS
//   ACC_EVEN, ACC_ODD   bits of the accumulators of lane_post_pair
//   OUT                 bits of y
//
// PORTS
//   acc_even, acc_odd, y   unsigned; y modulo 2^OUT
module post_combine #(
    parameter int ACC_EVEN = 18,
    parameter int ACC_ODD = 18,
    parameter int OUT = 28
) (
    input  logic [ACC_EVEN-1:0] acc_even,
    input  logic [ACC_ODD-1:0] acc_odd,
    output logic [OUT-1:0] y
);
    (* keep *) logic [ACC_ODD+7:0] odd_181;
    times_181 #(.W(ACC_ODD)) times (.x(acc_odd), .y(odd_181));
    assign y = OUT'({acc_even, 7'b0}) + OUT'(odd_181);
endmodule
