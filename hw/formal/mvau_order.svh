// The order of words in a matrix-vector unit, for its properties. Of the place that includes it: FOLD_IN, FOLD_OUT,
// index_t (number of a word of weights) and turn_t (number of an output).

// Which output word `index` belongs to, whether it is its first, and its last; by comparisons, since a division
// makes the proof slow.
function automatic turn_t turn(input index_t index);
    turn = '0;
    for (int t = 1; t < FOLD_OUT; t++) if (index >= t * FOLD_IN) turn = turn_t'(t);
endfunction

function automatic bit opens(input index_t index);
    opens = 0;
    for (int t = 0; t < FOLD_OUT; t++) opens = opens || index == t * FOLD_IN;
endfunction

function automatic bit closes(input index_t index);
    closes = 0;
    for (int t = 0; t < FOLD_OUT; t++) closes = closes || index == (t + 1) * FOLD_IN - 1;
endfunction

// The output that opens next, counted round, after so many words.
function automatic turn_t to_open(input index_t words);
    return words == 0 || turn(words - 1'b1) == FOLD_OUT - 1 ? '0 : turn(words - 1'b1) + 1'b1;
endfunction
