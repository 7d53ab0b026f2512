// Test bench: words of a file into a stream, with pauses.
//
// PARAMETERS
//   WIDTH    bits of a word
//   NAME     of the stream: NAME.hex is read, a word in hexadecimal digits per line; NAME.log is written, with the
//            clock in which each word was taken
//   NUMBER   of the stream among those of its case
//
// PLUSARGS
//   +pause_in=P   clocks of 256, at random, in which there is no word
//   +gap=N        clocks without a word behind every word
//   +seed=N       of the pauses
//
// PORTS    look, flip: see main.cpp; moved: a word passes. A reset begins anew with the first word.
module source #(
    parameter int WIDTH = 8,
    parameter NAME = "",
    parameter int NUMBER = 0
) (
    input  logic clk,
    input  logic rst,
    input  logic look,
    input  int flip,
    output logic valid,
    input  logic ready,
    output logic [WIDTH-1:0] data,
    output logic moved
);
    int log, file, pause, gap, wait_for, index;
    int unsigned random;
    longint cycle;
    logic [WIDTH-1:0] words[$], next, word;
    logic offered, former;
    logic [7:0] changed;
    wire flipped = flip == NUMBER;
    assign valid = offered ^ flipped;
    assign data = word ^ {WIDTH{flipped}};
    assign moved = valid && ready;

    initial begin
        if (!$value$plusargs("pause_in=%d", pause)) pause = 0;
        if (!$value$plusargs("gap=%d", gap)) gap = 0;
        if (!$value$plusargs("seed=%d", random)) random = 1;
        random = random * 7919 + 31 * NUMBER + 1;
        file = $fopen({NAME, ".hex"}, "r");
        while ($fscanf(file, "%h", next) == 1) words.push_back(next);
        $fclose(file);
        log = $fopen({NAME, ".log"}, "w");
        cycle = 0;
        changed = '0;
    end

    function automatic bit chance(int share);
        // Xorshift of 32 bits (Marsaglia, 2003).
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        return int'(random[15:8]) < share;
    endfunction

    always @(posedge clk) begin
        cycle <= cycle + 1;
        if (rst) begin
            offered <= 0;
            index <= 0;
            wait_for <= 0;
            $fwrite(log, "reset\n");
        end else begin
            if (moved) $fwrite(log, "%0d\n", cycle);
            if (moved && gap != 0) begin
                offered <= 0;
                wait_for <= gap - 1;
            end else if (wait_for != 0) wait_for <= wait_for - 1;
            else if (!offered || moved) begin
                offered <= 0;
                if (index < words.size() && !chance(pause)) begin
                    offered <= 1;
                    word <= words[index];
                    index <= index + 1;
                end
            end
        end
    end
    always @(posedge look) begin
        if (flip < 0) former <= ready;
        else if (ready != former) changed[flip[2:0]] <= 1;
    end
    final begin
        $fwrite(log, "sees %b\n", changed);
        $fclose(log);
    end
endmodule
