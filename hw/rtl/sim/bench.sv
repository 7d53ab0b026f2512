// Test bench of a network: words from a file in, words to a file out, with pauses on both sides.
//
// PLUSARGS
//   +in=FILE, +out=FILE   words in hexadecimal digits, one per line; out is written
//   +words=N              words of output after which the simulation ends
//   +pause_in=P, +pause_out=P   clocks of 256 in which the source has no word, and the sink takes none
//   +pace=N, +frame=W     the source spreads each W words evenly over N clocks, and has none before its time; at
//                         once unless given
//   +seed=N               of the pauses
//   +limit=N              clocks without any word on either side after which the simulation gives up, as it does
//                         when words still come so many clocks after the last that was wanted
//   +drain=N              clocks to go on after the last word on either side: what no output needs is still on its way
//
// `cycle` counts clocks, from 0 where the source first has a word. Every word of output is written with the clock in
// which it leaves, so that latency and the time between frames can be read off the file: "CYCLE DATA". A final line
// "end" says that all words came.
module bench #(
    parameter int IN = 8,
    parameter int OUT = 8
) (
    input logic clk,
    output logic done
);
    string in_name, out_name;
    int in_file, out_file, words, pause_in, pause_out, limit, drain;
    int unsigned seed, random;
    longint cycle, offered, pace, frame;
    int left, idle, past, reset;
    bit began;
    logic in_valid, in_ready, out_valid, out_ready, rst;
    logic [IN-1:0] in_data, next;
    logic [OUT-1:0] out_data;

    network dut (.*);

    initial begin
        if (!$value$plusargs("in=%s", in_name)) $fatal(1, "needs +in=FILE");
        if (!$value$plusargs("out=%s", out_name)) $fatal(1, "needs +out=FILE");
        if (!$value$plusargs("words=%d", words)) $fatal(1, "needs +words=N");
        if (!$value$plusargs("pause_in=%d", pause_in)) pause_in = 0;
        if (!$value$plusargs("pause_out=%d", pause_out)) pause_out = 0;
        if (!$value$plusargs("pace=%d", pace)) pace = 0;
        if (!$value$plusargs("frame=%d", frame)) frame = 1;
        if (!$value$plusargs("seed=%d", seed)) seed = 1;
        if (!$value$plusargs("limit=%d", limit)) limit = 1000000;
        if (!$value$plusargs("drain=%d", drain)) drain = 0;
        in_file = $fopen(in_name, "r");
        out_file = $fopen(out_name, "w");
        if (in_file == 0) $fatal(1, "cannot read the input");
        random = seed;
        cycle = 0;
        offered = 0;
        began = 0;
        left = words;
        idle = 0;
        past = 0;
        reset = 4;
        rst = 1;
        in_valid = 0;
        out_ready = 0;
        done = 0;
    end

    function automatic bit pause(int share);
        // Xorshift of 32 bits (Marsaglia, 2003).
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        return int'(random[15:8]) < share;
    endfunction

    // Whether the next word may be offered in the next clock.
    function automatic bit due();
        return offered == 0 || cycle + 1 >= offered / frame * pace + offered % frame * pace / frame;
    endfunction

    always @(posedge clk) begin
        if (began) cycle <= cycle + 1;
        if (reset != 0) begin
            reset <= reset - 1;
            rst <= reset > 1;
        end else begin
            if (out_valid && out_ready) begin
                $fwrite(out_file, "%0d %h\n", cycle, out_data);
                left <= left - 1;
            end
            if ((out_valid && out_ready) || (in_valid && in_ready)) idle <= 0;
            else idle <= idle + 1;
            // A window may run ahead into the padding before a frame that never comes.
            if (left <= 0) past <= past + 1;
            out_ready <= !pause(pause_out);
            // A word that is offered stays until it is taken.
            if (!in_valid || in_ready) begin
                in_valid <= 0;
                if (!pause(pause_in) && due()) begin
                    if ($fscanf(in_file, "%h", next) == 1) begin
                        began <= 1;
                        offered <= offered + 1;
                        in_valid <= 1;
                        in_data <= next;
                    end
                end
            end
            if (left <= 0 && !done && idle >= drain) begin
                $fwrite(out_file, "end\n");
                $fclose(out_file);
                done <= 1;
            end else if (idle > limit || past > drain + limit) begin
                $fclose(out_file);
                done <= 1;
            end
        end
    end
endmodule
