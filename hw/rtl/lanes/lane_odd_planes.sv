// Multiply-accumulate lane, odd weights (DoReFa), summed bit plane by bit plane: binary lanes, shifted and added.
//
//   acc = sum of (2c - n) * x + (2^A - 1) * (n - c) over the dot product, modulo 2^ACC;  n = 2^B - 1
//
// With the code c as bits, 2c - n is the sum of 2^k * (+1 or -1): each plane is one of binary weights. A bit of 0
// makes the complement of its activation, 2^A - 1 - x, as in lane_binary; what is too much is a constant of the
// weights that the next stage takes off its bias or thresholds. No multiplier, no subtraction.
//
// PARAMETERS
//   SIMD     products per clock
//   A        bits of an activation, unsigned
//   B        bits of a weight code
//   ACC      bits of the accumulator
//
// PORTS (latency one clock; a new set of SIMD products may enter every clock)
//   valid    x and w hold the products of this clock
//   first    they open a dot product
//   x        SIMD activations, activation i in bits [i*A +: A]
//   w        SIMD weight codes c, unsigned
//   acc      unsigned; N * (2^A - 1) * (2^B - 1) is the greatest after N products
module lane_odd_planes #(
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
    // Horner: part k is plane k plus twice what is above it.
    (* keep *) logic [B*SUM-1:0] parts;
    generate
        for (genvar k = 0; k < B; k++) begin : plane
            logic [SIMD*A-1:0] terms;
            for (genvar i = 0; i < SIMD; i++) begin : product
                assign terms[i*A+:A] = x[i*A+:A] ~^ {A{w[i*B+k]}};
            end
            adder_tree #(.N(SIMD), .W(A)) tree (.terms(terms), .sum(planes[k*PLANE+:PLANE]));
        end
        for (genvar k = 0; k < B; k++) begin : horner
            if (k == B - 1) begin : top
                assign parts[k*SUM+:SUM] = SUM'(planes[k*PLANE+:PLANE]);
            end else begin : others
                assign parts[k*SUM+:SUM] = SUM'(planes[k*PLANE+:PLANE]) + (parts[(k+1)*SUM+:SUM] << 1);
            end
        end
    endgenerate
    accumulator #(.W(SUM), .ACC(ACC)) register
        (.clk(clk), .valid(valid), .first(first), .sum(parts[SUM-1:0]), .acc(acc));
endmodule
