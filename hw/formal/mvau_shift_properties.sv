// Properties of mvau_shift: for every FOLD_IN words that enter, one leaves, LATENCY clocks after the last of them
// (those aside in which an output waits), in order, and it is FIRST * (first sum) + SECOND * (second sum) modulo 2^ACC.
// A sum is its start and, for the weights that belong to it, the input shifted, or the complement of that; it is kept
// modulo 2^SUM. Weights and starts begin anew after FOLD_OUT outputs; an offered word stays until it is taken. For all weights
// and starts (arbitrary/rom.sv).
//
// ENVIRONMENT  any source, any sink; a reset in the first clock, and whenever it likes afterwards; K, MOST_A, MOST_B
//              and ZERO with which every code is a weight
// SPECIFICATION  sums in integers as the words enter, and a delay line of them, which stands still while an output
//                waits behind one that waits
module mvau_shift_properties #(
    parameter int PE = 2,
    parameter int SIMD = 2,
    parameter int X = 2,
    parameter bit X_SIGNED = 0,
    parameter int K = 1,
    parameter int MOST_A = 1,
    parameter int MOST_B = 0,
    parameter int ZERO = 3,
    parameter int FIRST = 4,
    parameter int SECOND = 5,
    parameter int SUM_A = 4,
    parameter int SUM_B = 3,
    parameter int ACC = 6,
    parameter int FOLD_IN = 2,
    parameter int FOLD_OUT = 2,
    parameter int STEP = 2,
    parameter bit INSIDE = 1
) (
    input logic clk,
    input logic rst,
    input logic in_valid,
    input logic [SIMD*X-1:0] in_data,
    input logic out_ready,
    output logic reached
);
    localparam int TREE = $clog2(SIMD) / STEP;
    // Stages up to the sums; outputs are one behind.
    localparam int LATENCY = 3 + TREE;
    localparam int CODE = K + 2;
    localparam int SUMS = MOST_B < 0 ? 1 : 2;
    localparam int PAIR = SUM_A + SUM_B;
    localparam int MOST = MOST_A > MOST_B ? MOST_A : MOST_B;
    localparam int WORDS = FOLD_IN * FOLD_OUT;
    localparam int PRODUCT = X + MOST + 1;
    typedef logic [$clog2(WORDS+1)-1:0] index_t;
    typedef logic [PE*SIMD*CODE-1:0] weights_t;
    typedef logic [$clog2(FOLD_OUT+1)-1:0] turn_t;
    typedef logic signed [PRODUCT+$clog2(SIMD)-1:0] sum_t;
    typedef logic [PE*PAIR-1:0] sums_t;
    logic in_ready, out_valid;
    logic [PE*ACC-1:0] out_data;
    mvau_shift #(
        .PE(PE), .SIMD(SIMD), .X(X), .X_SIGNED(X_SIGNED), .K(K), .MOST_A(MOST_A), .MOST_B(MOST_B), .ZERO(ZERO),
        .FIRST(FIRST), .SECOND(SECOND), .SUM_A(SUM_A), .SUM_B(SUM_B), .ACC(ACC), .FOLD_IN(FOLD_IN),
        .FOLD_OUT(FOLD_OUT), .STEP(STEP)
    ) dut (.*);

    // What an input adds to sum j.
    function automatic sum_t product(
        input logic [SIMD*X-1:0] word, input weights_t weights, input int p, input int s, input int j
    );
        logic signed [PRODUCT-1:0] x, whole;
        logic [CODE-1:0] code;
        code = weights[(p*SIMD+s)*CODE+:CODE];
        x = PRODUCT'($signed({X_SIGNED && word[s*X+X-1], word[s*X+:X]}));
        for (int k = 0; k < (1 << K); k++) if (code[K-1:0] == k) x = x << k;
        // What a value and its complement add up to.
        whole = X_SIGNED ? '1 : PRODUCT'((1 << (X + (j == 0 ? MOST_A : MOST_B))) - 1);
        if (code[K] != (j == 1) || code[K:0] == (K+1)'(ZERO)) return '0;
        return code[K+1] ? sum_t'(PRODUCT'(whole - x)) : sum_t'(x);
    endfunction

    // Sum of the products of `number` inputs from `first` on, as far as there are so many.
    function automatic sum_t part(
        input logic [SIMD*X-1:0] word, input weights_t weights, input int p, input int j, input int first,
        input int number
    );
        part = '0;
        for (int s = first; s < first + number && s < SIMD; s++) part = part + product(word, weights, p, s, j);
    endfunction

    // Starts or sums before, with the products of a word.
    function automatic logic [PE*PAIR-1:0] added(
        input logic [PE*PAIR-1:0] sum, input logic [SIMD*X-1:0] word, input weights_t weights
    );
        added = sum;
        for (int p = 0; p < PE; p++) begin
            added[p*PAIR+:SUM_A] = sum[p*PAIR+:SUM_A] + SUM_A'(part(word, weights, p, 0, 0, SIMD));
            if (SUMS == 2)
                added[p*PAIR+SUM_A+:SUM_B] = sum[p*PAIR+SUM_A+:SUM_B] + SUM_B'(part(word, weights, p, 1, 0, SIMD));
        end
    endfunction

    // What an output shows of sums.
    function automatic logic [PE*ACC-1:0] result(input logic [PE*PAIR-1:0] sum);
        for (int p = 0; p < PE; p++) begin
            result[p*ACC+:ACC] = ACC'($signed(sum[p*PAIR+:SUM_A])) * ACC'(FIRST);
            if (SUMS == 2)
                result[p*ACC+:ACC] = result[p*ACC+:ACC] + ACC'($signed(sum[p*PAIR+SUM_A+:SUM_B])) * ACC'(SECOND);
        end
    endfunction

    `include "mvau_order.svh"

    // Starts of all turns.
    sums_t [FOLD_OUT-1:0] starts;
    assign starts = dut.start_rom.words;

    // The output behind the sums.
    logic held;
    logic [PE*ACC-1:0] output_;
    wire leaving = !held || out_ready;
    `include "mvau_history.svh"
    always_ff @(posedge clk) begin
        if (rst) held <= 1'b0;
        else if (leaving) held <= finished;
        if (leaving) output_ <= result(sum[LATENCY-1]);
    end

    always_comb begin
        assume (started || rst);
        if (started) begin
            assert (in_ready == move);
            assert (out_valid == held);
            assert (!out_valid || out_data == output_);
            assert (!offered || (out_valid && out_data == shown));
            assert (dut.control.address < WORDS);
        end
    end

    // The same at the stages in between, which closes the induction.
    generate
        if (INSIDE) begin : stages
            `include "mvau_stages.svh"
            always_comb if (started) begin
                assert (dut.summed == finished);
                assert (dut.control.turn == to_open(following[LATENCY-2]));
                if (valid[LATENCY-2] && opens(index[LATENCY-2]))
                    assert (dut.starts == starts[turn(index[LATENCY-2])]);
            end
            // Behind the products' register, and behind every register of the tree.
            for (genvar p = 0; p < PE; p++) begin : element
                for (genvar j = 0; j < SUMS; j++) begin : part_of
                    always_comb
                        assert (!(started && known[LATENCY-1])
                                || dut.element[p].part[j].accumulator
                                   == sum[LATENCY-1][p*PAIR+(j==0?0:SUM_A)+:(j==0?SUM_A:SUM_B)]);
                    for (genvar r = 0; r <= TREE; r++) begin : register
                        localparam int COUNT = (SIMD + (1 << (r * STEP)) - 1) >> (r * STEP);
                        localparam int BITS = X + (j == 0 ? MOST_A : MOST_B) + r * STEP;
                        always_comb
                            for (int i = 0; i < COUNT; i++)
                                assert (!(started && valid[1+r])
                                        || dut.element[p].part[j].tree.level[r*STEP].sums[i*BITS+:BITS]
                                           == BITS'(part(entered[1+r], weights[1+r], p, j, i << (r * STEP),
                                                         1 << (r * STEP))));
                    end
                end
            end
        end
    endgenerate
endmodule
