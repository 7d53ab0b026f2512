// Properties of mvau_packed: for every FOLD_IN words that enter, one leaves, LATENCY clocks after the last of them
// (those aside in which an output waits), in order, and it is bias + sum of w * x modulo 2^ACC, where w is a digit, and
// 1 more if the digit below it in the same block is negative; weights and biases begin anew after FOLD_OUT outputs; an
// offered word stays until it is taken. For all digits and biases (arbitrary/rom.sv).
//
// ENVIRONMENT  any source, any sink; a reset in the first clock, and whenever it likes afterwards; parameters with
//              which a field holds its sum: X + W + 1 bits and those of CHAIN, with INNER those of any output
// SPECIFICATION  sums in integers as the words enter, and a delay line of them, which stands still while an output
//                waits
module mvau_packed_properties #(
    parameter int PE = 2,
    parameter int SIMD = 2,
    parameter int X = 2,
    parameter bit X_SIGNED = 0,
    parameter int W = 2,
    parameter int ACC = 6,
    parameter int FOLD_IN = 2,
    parameter int FOLD_OUT = 2,
    parameter bit BIAS = 1,
    parameter int STEP = 2,
    parameter int GROUPS = 1,
    parameter int FIELD = 6,
    parameter int CHAIN = 2,
    parameter bit INNER = 0,
    parameter bit INSIDE = 1
) (
    input logic clk,
    input logic rst,
    input logic in_valid,
    input logic [SIMD*X-1:0] in_data,
    input logic out_ready,
    output logic reached
);
    localparam int COLUMNS = SIMD / CHAIN;
    localparam int TREE = $clog2(COLUMNS) / STEP;
    localparam int LATENCY = INNER ? 3 : 4 + TREE;
    // Bits of a sum: those of an accumulator.
    localparam int KEPT = INNER ? FIELD : ACC;
    localparam int WORDS = FOLD_IN * FOLD_OUT;
    localparam int PRODUCT = X + W + 1;
    typedef logic [$clog2(WORDS+1)-1:0] index_t;
    typedef logic [PE*SIMD*W-1:0] weights_t;
    typedef logic [$clog2(FOLD_OUT+1)-1:0] turn_t;
    typedef logic signed [PRODUCT+$clog2(SIMD)-1:0] sum_t;
    typedef logic [PE*KEPT-1:0] sums_t;
    logic in_ready, out_valid;
    logic [PE*ACC-1:0] out_data;
    mvau_packed #(
        .PE(PE), .SIMD(SIMD), .X(X), .X_SIGNED(X_SIGNED), .W(W), .ACC(ACC), .FOLD_IN(FOLD_IN), .FOLD_OUT(FOLD_OUT),
        .BIAS(BIAS), .STEP(STEP), .GROUPS(GROUPS), .FIELD(FIELD), .CHAIN(CHAIN), .INNER(INNER)
    ) dut (.*);

    `include "mvau_digits.svh"

    // Sum of the products of `number` inputs from `first` on, as far as there are so many.
    function automatic sum_t part(
        input logic [SIMD*X-1:0] word, input weights_t weights, input int p, input int first, input int number
    );
        part = '0;
        for (int s = first; s < first + number && s < SIMD; s++) part = part + product(word, weights, p, s);
    endfunction

    // An output, bias or sum before, with the products of a word.
    function automatic logic [PE*KEPT-1:0] added(
        input logic [PE*KEPT-1:0] sum, input logic [SIMD*X-1:0] word, input weights_t weights
    );
        for (int p = 0; p < PE; p++) added[p*KEPT+:KEPT] = sum[p*KEPT+:KEPT] + KEPT'(part(word, weights, p, 0, SIMD));
    endfunction

    `include "mvau_order.svh"

    // What an output shows of a sum.
    function automatic logic [PE*ACC-1:0] shown_of(input logic [PE*KEPT-1:0] sum);
        for (int p = 0; p < PE; p++) shown_of[p*ACC+:ACC] = ACC'($signed(sum[p*KEPT+:KEPT]));
    endfunction

    // Words of an output that have come, when the next one is `following`: 1 to FOLD_IN.
    function automatic int came(input index_t following);
        came = FOLD_IN;
        for (int t = 0; t < FOLD_OUT; t++)
            for (int n = 1; n < FOLD_IN; n++) if (following == t * FOLD_IN + n) came = n;
    endfunction

    // At least as much as a product, and as a bias, in magnitude.
    localparam int MOST = 1 << (X + W - 1);
    localparam int BIASES = 1 << (ACC - 1);
    typedef logic signed [KEPT:0] bound_t;

    // Biases of all turns, as sums; 0 where there are none.
    logic [FOLD_OUT-1:0][PE*ACC-1:0] read;
    sums_t [FOLD_OUT-1:0] starts;
    generate
        if (BIAS) begin : biased
            assign read = dut.biased.bias_rom.words;
        end else begin : unbiased
            assign read = '0;
        end
        for (genvar t = 0; t < FOLD_OUT; t++) begin : begun
            for (genvar p = 0; p < PE; p++) begin : output_
                assign starts[t][p*KEPT+:KEPT] = KEPT'($signed(read[t][p*ACC+:ACC]));
            end
        end
    endgenerate

    wire leaving = out_ready;
    `include "mvau_history.svh"

    always_comb begin
        assume (started || rst);
        if (started) begin
            assert (in_ready == move);
            assert (out_valid == finished);
            assert (!out_valid || out_data == shown_of(sum[LATENCY-1]));
            assert (!offered || (out_valid && out_data == shown));
            assert (dut.control.address < WORDS);
        end
    end

    // The same at the stages in between, which closes the induction.
    generate
        if (INSIDE) begin : stages
            `include "mvau_stages.svh"
            always_comb if (started) begin
                assert (!known[LATENCY-1] || out_data == shown_of(sum[LATENCY-1]));
                if (BIAS) begin
                    assert (dut.control.turn == to_open(following[LATENCY-2]));
                    if (valid[LATENCY-2] && opens(index[LATENCY-2]))
                        assert (dut.biases == read[turn(index[LATENCY-2])]);
                end
            end
            // Behind the products' register.
            for (genvar g = 0; g < GROUPS; g++) begin : group
                localparam int BITS = (own(g) - 1) * FIELD + W + (X_SIGNED ? X : X + 1);
                for (genvar c = 0; c < COLUMNS; c++) begin : column
                    for (genvar i = 0; i < CHAIN; i++) begin : product
                        always_comb
                            assert (!(started && valid[1])
                                    || dut.group[g].column[c].product[i].m
                                       == BITS'(packed_product(entered[1], weights[1], g, c * CHAIN + i)));
                    end
                end
            end
            for (genvar p = 0; p < PE; p++) begin : element
                if (INNER) begin : own
                    always_comb begin
                        assert (!(started && known[2]) || dut.sums[p*FIELD+:FIELD] == sum[2][p*KEPT+:KEPT]);
                        // No sum leaves its field: a bias, and at most so much for each word since.
                        for (int s = 0; s < LATENCY; s++)
                            if (started && known[s]) begin
                                assert ($signed(sum[s][p*KEPT+:KEPT]) >= -bound_t'(BIASES + came(following[s]) * MOST));
                                assert ($signed(sum[s][p*KEPT+:KEPT]) <= bound_t'(BIASES + came(following[s]) * MOST));
                            end
                    end
                end else begin : handed
                    // Behind the columns, and behind every register of the tree.
                    for (genvar r = 0; r <= TREE; r++) begin : register
                        localparam int COUNT = (COLUMNS + (1 << (r * STEP)) - 1) >> (r * STEP);
                        localparam int BITS = FIELD + r * STEP;
                        always_comb
                            for (int n = 0; n < COUNT; n++)
                                assert (!(started && valid[2+r])
                                        || dut.element[p].added.tree.level[r*STEP].sums[n*BITS+:BITS]
                                           == BITS'(part(entered[2+r], weights[2+r], p, (n << (r * STEP)) * CHAIN,
                                                         CHAIN << (r * STEP))));
                    end
                end
            end
        end
    endgenerate
endmodule
