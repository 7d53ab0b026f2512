// Sum of N terms as a balanced tree of two-operand adders; combinational.
//
// PARAMETERS
//   N        terms
//   W        bits of a term
//   SIGNED   1: terms are two's complement; 0: terms are unsigned
//   OUT      bits of the sum: W + ceil(log2 N), so that it is exact
//
// PORTS
//   terms    N terms, term i in bits [i*W +: W]
//   sum      as signed as the terms
//
// The levels grow by one bit each. The sums between levels are kept (`keep`), because synthesis would otherwise
// melt the whole tree into carry-save compressors of loose LUTs, while a two-operand adder on the carry chain
// takes one LUT per bit.
module adder_tree #(
    parameter int N = 8,
    parameter int W = 8,
    parameter bit SIGNED = 0,
    parameter int OUT = W + $clog2(N)
) (
    input  logic [N*W-1:0] terms,
    output logic [OUT-1:0] sum
);
    generate
        if (N == 1) begin : leaf
            assign sum = terms;
        end else begin : branch
            localparam int LOW = (N + 1) / 2;
            localparam int HIGH = N - LOW;
            localparam int LOW_OUT = W + $clog2(LOW);
            localparam int HIGH_OUT = W + $clog2(HIGH);
            (* keep *) logic [LOW_OUT-1:0] low;
            (* keep *) logic [HIGH_OUT-1:0] high;
            adder_tree #(.N(LOW), .W(W), .SIGNED(SIGNED)) low_half (.terms(terms[LOW*W-1:0]), .sum(low));
            adder_tree #(.N(HIGH), .W(W), .SIGNED(SIGNED)) high_half (.terms(terms[N*W-1:LOW*W]), .sum(high));
            if (SIGNED) begin : signed_sum
                assign sum = OUT'($signed(low)) + OUT'($signed(high));
            end else begin : unsigned_sum
                assign sum = OUT'(low) + OUT'(high);
            end
        end
    endgenerate
endmodule
