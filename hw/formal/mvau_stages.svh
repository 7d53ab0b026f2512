// The stages of a matrix-vector unit against mvau_history.svh, which closes the induction of its properties: control,
// inputs, weights, and how sums follow from each other.

// known[s]: a word has been there.
logic [LATENCY-1:0] known;
always_ff @(posedge clk) begin
    if (rst) known <= '0;
    else if (move) known <= {known[LATENCY-2:0], known[0] || in_valid};
end
weights_t [LATENCY-1:0] weights;
always_comb for (int s = 0; s < LATENCY; s++) weights[s] = dut.weight_rom.words[index[s]];
// Numbers of the words: each follows the one before, whatever gaps there are.
index_t [LATENCY:0] following;
assign following[0] = next;
always_comb begin
    for (int s = 0; s < LATENCY; s++) following[s+1] = valid[s] ? index[s] : following[s];
end
always_comb if (started) begin
    assert (next < WORDS && dut.control.address == next);
    assert (dut.control.next_turn == turn(next));
    for (int t = 0; t < FOLD_OUT; t++) assert (turn(next) != t || dut.control.count == next - t * FOLD_IN);
    assert (dut.control.valid == valid[LATENCY-2:0]);
    if (valid[0]) begin
        assert (dut.x == entered[0]);
        assert (dut.weights == weights[0]);
    end
    for (int s = 0; s < LATENCY; s++) begin
        assert (known[s] || following[s] == 0);
        assert (!valid[s] || (known[s] && index[s] == (following[s] == 0 ? WORDS - 1 : following[s] - 1)));
        assert (s == 0 || known[s-1] || !known[s]);
        assert (s == 0 || valid[s-1] || known[s-1] == known[s]);
    end
    for (int s = 0; s < LATENCY - 1; s++) begin
        assert (!valid[s] || dut.control.opens[s] == opens(index[s]));
        assert (!valid[s] || dut.control.closes[s] == closes(index[s]));
        if (valid[s]) begin
            assert (sum[s] == added(opens(index[s]) ? starts[turn(index[s])] : sum[s+1],
                                    entered[s], weights[s]));
        end else if (known[s]) begin
            assert (sum[s] == sum[s+1]);
        end
    end
end
