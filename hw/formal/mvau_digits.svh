// Several digits side by side in an operand of a multiplication, for the properties of the units that pack them. Of the
// place that includes it: PE, SIMD, X, X_SIGNED, W, GROUPS, FIELD, PRODUCT (bits of a product), weights_t (a word of
// weights) and sum_t (a sum of products).

// Outputs of a group, and the first of them; the first groups have one more.
function automatic int own(input int g);
    own = PE / GROUPS + (g < PE % GROUPS ? 1 : 0);
endfunction

function automatic int first_of(input int g);
    first_of = g * (PE / GROUPS) + (g < PE % GROUPS ? g : PE % GROUPS);
endfunction

function automatic bit begins(input int p);
    begins = 0;
    for (int g = 0; g < GROUPS; g++) begins = begins || p == first_of(g);
endfunction

function automatic sum_t product(input logic [SIMD*X-1:0] word, input weights_t weights, input int p, input int s);
    logic signed [X:0] x;
    logic signed [W:0] w;
    x = {X_SIGNED && word[s*X+X-1], word[s*X+:X]};
    w = {weights[(p*SIMD+s)*W+W-1], weights[(p*SIMD+s)*W+:W]};
    // The digit below, in the same block, has borrowed.
    if (!begins(p) && weights[((p==0?p : p-1)*SIMD+s)*W+W-1]) w = w + 1'b1;
    return sum_t'(PRODUCT'(x) * PRODUCT'(w));
endfunction

// The number that the weights of a block make with an input.
function automatic logic signed [PE*FIELD+X+W:0] packed_product(
    input logic [SIMD*X-1:0] word, input weights_t weights, input int g, input int s
);
    packed_product = '0;
    for (int k = 0; k < PE; k++)
        if (k < own(g))
            packed_product = packed_product
                + ((PE*FIELD+X+W+1)'(product(word, weights, first_of(g) + k, s)) <<< (k * FIELD));
endfunction
