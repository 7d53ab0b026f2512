// What a matrix-vector unit has taken, as a delay line, for its properties. Of the place that includes it:
// mvau_order.svh; LATENCY, stages up to the sums; sums_t, the sums of a word, and `starts`, those that outputs begin
// with; `added`, sums with the products of a word; `leaving`, whether finished sums may leave; the unit as `dut`, and
// its ports.

// Stage 0 is behind the door, stage LATENCY - 1 at the sums. `sum` is that of the words so far: where a stage
// has no word, the one of the word before.
logic started = 0;
index_t next;
logic [LATENCY-1:0] valid;
logic [LATENCY-1:0][SIMD*X-1:0] entered;
index_t [LATENCY-1:0] index;
sums_t [LATENCY-1:0] sum;
wire finished = valid[LATENCY-1] && closes(index[LATENCY-1]);
wire move = !finished || leaving;
sums_t reached_sum;
assign reached_sum = !in_valid
    ? sum[0]
    : added(opens(next) ? starts[turn(next)] : sum[0], in_data, dut.weight_rom.words[next]);
logic offered;
logic [PE*ACC-1:0] shown;
turn_t left;
always_ff @(posedge clk) begin
    started <= 1'b1;
    if (rst) begin
        next <= '0;
        valid <= '0;
    end else if (move) begin
        valid <= {valid[LATENCY-2:0], in_valid};
        if (in_valid) next <= next == WORDS - 1 ? '0 : next + 1'b1;
    end
    if (move) begin
        entered <= {entered[LATENCY-2:0], in_data};
        index <= {index[LATENCY-2:0], next};
        sum <= {sum[LATENCY-2:0], reached_sum};
    end
    offered <= !rst && out_valid && !out_ready;
    shown <= out_data;
    // Outputs that have left: one more than a whole turn shows that the weights begin anew.
    left <= rst || !started ? '0 : left + turn_t'(out_valid && out_ready && left != FOLD_OUT);
end
assign reached = started && left == FOLD_OUT && out_valid && offered;
