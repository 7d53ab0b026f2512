// Multiply-accumulate lane, uniform weights in two's complement, summed bit plane by bit plane.
//
//   acc = sum of w * x over the dot product, modulo 2^ACC
//
// Every bit of the weight masks the activation; the masked activations of one bit are summed in a narrow tree of
// their own, and only the B sums are shifted and added, the sum of the sign bits subtracted. No multiplier.
//
// PARAMETERS
//   SIMD     products per clock
//   A        bits of an activation, unsigned
//   B        bits of a weight code, 2 or more
//   ACC      bits of the accumulator
//
// PORTS (latency one clock; a new set of SIMD products may enter every clock)
//   valid    x and w hold the products of this clock
//   first    they open a dot product
//   x        SIMD activations, activation i in bits [i*A +: A]
//   w        SIMD weight codes: two's complement, all 2^B codes allowed
//   acc      two's complement
module lane_uniform_planes #(
    parameter int SIMD = 8,
    parameter int A = 4,
    parameter int B = 4,
    parameter int ACC = 16
) (
    input  logic clk,
    input  logic valid,
    input  logic first,
    input  logic [SIMD*A-1:0] x,
    input  logic [SIMD*B-1:0] w,
    output logic [ACC-1:0] acc
);
    localparam int PLANE = A + $clog2(SIMD);
    localparam int SUM = PLANE + B;
    logic [B*PLANE-1:0] planes;
    // Horner: part k is plane k plus twice what is above it; the topmost plane, the signs, is subtracted.
    (* keep *) logic [B*SUM-1:0] parts;
    generate
        for (genvar k = 0; k < B; k++) begin : plane
            logic [SIMD*A-1:0] masked;
            for (genvar i = 0; i < SIMD; i++) begin : mask
                assign masked[i*A+:A] = x[i*A+:A] & {A{w[i*B+k]}};
            end
            adder_tree #(.N(SIMD), .W(A)) tree (.terms(masked), .sum(planes[k*PLANE+:PLANE]));
        end
        for (genvar k = 0; k < B; k++) begin : horner
            logic [SUM-1:0] wide;
            assign wide = SUM'(planes[k*PLANE+:PLANE]);
            if (k == B - 1) begin : signs
                assign parts[k*SUM+:SUM] = wide;
            end else if (k == B - 2) begin : below_signs
                assign parts[k*SUM+:SUM] = wide - (parts[(k+1)*SUM+:SUM] << 1);
            end else begin : others
                assign parts[k*SUM+:SUM] = wide + (parts[(k+1)*SUM+:SUM] << 1);
            end
        end
    endgenerate
    accumulator #(.W(SUM), .SIGNED(1), .ACC(ACC)) register
        (.clk(clk), .valid(valid), .first(first), .sum(parts[SUM-1:0]), .acc(acc));
endmodule
