// Sum of N terms and N single bits, one to each term, as a balanced tree of two-operand adders with registers in it.
//
// An adder on a carry chain takes a bit more for its carry in: N terms have N - 1 adders, which take all bits but the
// last one. That one leaves beside the sum, for the adder that reads it.
//
// PARAMETERS
//   N        terms
//   W        bits of a term, two's complement
//   STEP     levels of adders between registers
//   OUT      bits of the sum, two's complement: W + ceil(log2 N), which holds all terms and all bits but one
//
// PORTS    terms: term i in bits [i*W +: W]; carries: bit i goes with term i; sum: of the terms and of the bits but
//          that of the last term; carry: that bit; enable: move on by one clock
//
// LATENCY  floor(ceil(log2 N) / STEP) clocks, as sum_tree
//
// The sums between levels are kept (`keep`) as in sum_tree. The carry is written as the lowest bit of an operand, with
// a 1 beside it: synthesis makes that one adder, a place longer.
module carry_tree #(
    parameter int N = 8,
    parameter int W = 8,
    parameter int STEP = 2,
    parameter int OUT = W + $clog2(N)
) (
    input  logic clk,
    input  logic enable,
    input  logic [N*W-1:0] terms,
    input  logic [N-1:0] carries,
    output logic [OUT-1:0] sum,
    output logic carry
);
    localparam int LEVELS = $clog2(N);
    generate
        for (genvar l = 0; l <= LEVELS; l++) begin : level
            // How many sums there are behind l levels, N / 2^l, rounded up; each with the bit of its last term.
            localparam int COUNT = (N + (1 << l) - 1) >> l;
            localparam int BITS = W + l;
            (* keep *) logic [COUNT*BITS-1:0] sums;
            logic [COUNT-1:0] left;
            if (l == 0) begin : leaves
                assign sums = terms;
                assign left = carries;
            end else begin : adders
                localparam int BELOW = (N + (1 << (l - 1)) - 1) >> (l - 1);
                logic [COUNT*BITS-1:0] added;
                logic [COUNT-1:0] handed;
                for (genvar i = 0; i < COUNT; i++) begin : pair
                    logic signed [BITS-2:0] a, b;
                    assign a = level[l-1].sums[2*i*(BITS-1)+:BITS-1];
                    if (2 * i + 1 < BELOW) begin : both
                        logic [BITS:0] wide;
                        assign b = level[l-1].sums[(2*i+1)*(BITS-1)+:BITS-1];
                        assign wide = {BITS'(a), 1'b1} + {BITS'(b), level[l-1].left[2*i]};
                        assign added[i*BITS+:BITS] = wide[BITS:1];
                        assign handed[i] = level[l-1].left[2*i+1];
                    end else begin : single
                        assign b = '0;
                        assign added[i*BITS+:BITS] = BITS'(a);
                        assign handed[i] = level[l-1].left[2*i];
                    end
                end
                if (l % STEP == 0) begin : registered
                    always_ff @(posedge clk) if (enable) begin
                        sums <= added;
                        left <= handed;
                    end
                end else begin : wired
                    assign sums = added;
                    assign left = handed;
                end
            end
        end
    endgenerate
    assign sum = level[LEVELS].sums;
    assign carry = level[LEVELS].left;
endmodule
