// Test bench: words of a stream into a file, with pauses.
//
// PARAMETERS
//   WIDTH    bits of a word
//   NAME     of the stream: NAME.log is written, a line for each word: its clock, and the word in hexadecimal digits
//   NUMBER   of the stream among those of its case
//
// PLUSARGS
//   +pause_out=P  clocks of 256, at random, in which no word is taken
//   +seed=N       of the pauses
//
// PORTS    look, flip: see main.cpp; moved: a word passes
//
// A word that was offered and then changed or taken back before it was taken writes "broken" into the file.
module sink #(
    parameter int WIDTH = 8,
    parameter NAME = "",
    parameter int NUMBER = 0
) (
    input  logic clk,
    input  logic rst,
    input  logic look,
    input  int flip,
    input  logic valid,
    output logic ready,
    input  logic [WIDTH-1:0] data,
    output logic moved
);
    int log, pause;
    int unsigned random;
    longint cycle;
    logic willing, waiting;
    logic [WIDTH-1:0] offered;
    logic [WIDTH:0] former;
    logic [7:0] changed;
    assign ready = willing ^ (flip == NUMBER);
    assign moved = valid && ready;

    initial begin
        if (!$value$plusargs("pause_out=%d", pause)) pause = 0;
        if (!$value$plusargs("seed=%d", random)) random = 1;
        random = random * 7919 + 31 * NUMBER + 1;
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
        waiting <= !rst && valid && !ready;
        offered <= data;
        if (rst) begin
            willing <= 0;
            $fwrite(log, "reset\n");
        end else begin
            if (waiting && (!valid || data != offered)) $fwrite(log, "broken\n");
            if (moved) $fwrite(log, "%0d %h\n", cycle, data);
            willing <= !chance(pause);
        end
    end
    always @(posedge look) begin
        if (flip < 0) former <= {valid, valid ? data : '0};
        else if ({valid, valid ? data : '0} != former) changed[flip[2:0]] <= 1;
    end
    final begin
        $fwrite(log, "sees %b\n", changed);
        $fclose(log);
    end
endmodule
