// A block memory with two ports, of which the models of the vendors' block memories are made. Simulation only.
//
// The memory is BYTES bytes of nine bits, or of eight. A port is 1, 2 or 4 bits wide, or 1, 2, 4 or 8 bytes; an address
// counts bits, eight to a byte, and what lies below the width of the port is ignored. Ports of up to four bits leave the
// ninth bits alone.
//
// PARAMETERS
//   BYTES            in the memory
//   BYTE             bits of a byte: 9 or 8
//   WIDTH_A, _B      bits of a word; 0: the port is not used
//   MODE_A, _B       what a port reads while it writes: 0 nothing, its output stays; 1 the new word; 2 the old one
//   ENABLES          byte enables are the lowest bits of the address of words of two bytes and more; of `write` the
//                    lowest bit counts
//   OLD              a port reads the old word while the other one writes to it; else what it reads is undefined
//   GATED            a port that is not enabled is not reset either
//   ASYNCHRONOUS     resets wait for no clock; such a reset ends the simulation, as it is not modelled
//   START_A, _B      first output
//   RESET_A, _B      output after a reset
//   LAYOUT           of DATA: 8: eight bits of each byte, the ninth ones in NINTH; 9: nine bits of each byte;
//                    20: two bytes of nine bits in each 20 bits
//   DATA, NINTH      first content
//
// PORTS    of a port: enable, reset, write (one bit for each byte of a word), address, in, out
//
// Ports that are enabled at a time have one clock; two clocks end the simulation. An undefined word is the complement
// of the one in the memory, so that whoever needs it is noticed. Writing the same byte by both ports ends the
// simulation.
module block_memory #(
    parameter int BYTES = 2048,
    parameter int BYTE = 9,
    parameter int WIDTH_A = 9,
    parameter int WIDTH_B = 9,
    parameter int MODE_A = 0,
    parameter int MODE_B = 0,
    parameter bit ENABLES = 1'b0,
    parameter bit OLD = 1'b0,
    parameter bit GATED = 1'b0,
    parameter bit ASYNCHRONOUS = 1'b0,
    parameter logic [71:0] START_A = '0,
    parameter logic [71:0] START_B = '0,
    parameter logic [71:0] RESET_A = '0,
    parameter logic [71:0] RESET_B = '0,
    parameter int LAYOUT = 9,
    parameter logic [BYTES*10-1:0] DATA = '0,
    parameter logic [BYTES-1:0] NINTH = '0,
    parameter int ADDRESS = $clog2(BYTES) + 3
) (
    input  logic clk_a,
    input  logic enable_a,
    input  logic reset_a,
    input  logic [7:0] write_a,
    input  logic [ADDRESS-1:0] address_a,
    input  logic [71:0] in_a,
    output logic [71:0] out_a,
    input  logic clk_b,
    input  logic enable_b,
    input  logic reset_b,
    input  logic [7:0] write_b,
    input  logic [ADDRESS-1:0] address_b,
    input  logic [71:0] in_b,
    output logic [71:0] out_b
);
    typedef logic [$clog2(BYTES)-1:0] place_t;
    typedef logic [BYTE-1:0] byte_t;
    byte_t bytes [0:BYTES-1];

    initial begin
        for (int i = 0; i < BYTES; i++) begin
            if (LAYOUT == 8) bytes[i] = byte_t'({NINTH[i], DATA[8*i+:8]});
            else if (LAYOUT == 9) bytes[i] = byte_t'(DATA[9*i+:9]);
            else bytes[i] = byte_t'(DATA[20*(i/2)+9*(i%2)+:9]);
        end
        out_a = START_A;
        out_b = START_B;
    end

    // Bytes of a word; a narrow one lies in a part of a byte.
    function automatic int count(int width);
        return width < 8 ? 1 : width / BYTE;
    endfunction

    function automatic place_t first(int width, logic [ADDRESS-1:0] address);
        return address[ADDRESS-1:3] & ~place_t'(count(width) - 1);
    endfunction

    // A byte after port A or B has written to it: byte `i` of its word.
    function automatic byte_t written(int width, logic [ADDRESS-1:0] address, logic [71:0] value, byte_t old, int i);
        byte_t mask;
        int shift;
        if (width >= 8) return value[BYTE*i+:BYTE];
        shift = int'(address[2:0]) & ~(width - 1);
        mask = byte_t'((1 << width) - 1) << shift;
        return (old & ~mask) | ((value[BYTE-1:0] << shift) & mask);
    endfunction

    // Bytes of its word that a port writes.
    function automatic logic [7:0] enabled(int width, logic [7:0] write, logic [ADDRESS-1:0] address);
        if (!ENABLES || count(width) == 1) return write;
        return write[0] ? address[7:0] & 8'((1 << count(width)) - 1) : '0;
    endfunction

    wire [7:0] bytes_a = enabled(WIDTH_A, write_a, address_a);
    wire [7:0] bytes_b = enabled(WIDTH_B, write_b, address_b);

    logic [71:0] old_a, new_a, old_b, new_b;
    logic hit_a, hit_b, both;
    always_comb begin
        old_a = '0;
        new_a = '0;
        old_b = '0;
        new_b = '0;
        hit_a = 1'b0;
        hit_b = 1'b0;
        both = 1'b0;
        for (int i = 0; i < 8; i++) begin
            if (WIDTH_A != 0 && i < count(WIDTH_A)) begin
                old_a[BYTE*i+:BYTE] = bytes[first(WIDTH_A, address_a) + place_t'(i)];
                new_a[BYTE*i+:BYTE] = bytes_a[i]
                    ? written(WIDTH_A, address_a, in_a, old_a[BYTE*i+:BYTE], i) : old_a[BYTE*i+:BYTE];
            end
            if (WIDTH_B != 0 && i < count(WIDTH_B)) begin
                old_b[BYTE*i+:BYTE] = bytes[first(WIDTH_B, address_b) + place_t'(i)];
                new_b[BYTE*i+:BYTE] = bytes_b[i]
                    ? written(WIDTH_B, address_b, in_b, old_b[BYTE*i+:BYTE], i) : old_b[BYTE*i+:BYTE];
            end
        end
        if (WIDTH_A != 0 && WIDTH_B != 0) begin
            for (int i = 0; i < count(WIDTH_A); i++) begin
                for (int j = 0; j < count(WIDTH_B); j++) begin
                    if (first(WIDTH_A, address_a) + place_t'(i) == first(WIDTH_B, address_b) + place_t'(j)) begin
                        hit_a |= enable_b && bytes_b[j];
                        hit_b |= enable_a && bytes_a[i];
                        both |= enable_a && bytes_a[i] && enable_b && bytes_b[j];
                    end
                end
            end
        end
        if (WIDTH_A < 8) begin
            old_a = (old_a >> (int'(address_a[2:0]) & ~(WIDTH_A - 1))) & 72'((1 << WIDTH_A) - 1);
            new_a = (new_a >> (int'(address_a[2:0]) & ~(WIDTH_A - 1))) & 72'((1 << WIDTH_A) - 1);
        end
        if (WIDTH_B < 8) begin
            old_b = (old_b >> (int'(address_b[2:0]) & ~(WIDTH_B - 1))) & 72'((1 << WIDTH_B) - 1);
            new_b = (new_b >> (int'(address_b[2:0]) & ~(WIDTH_B - 1))) & 72'((1 << WIDTH_B) - 1);
        end
        if (hit_a && !OLD) {old_a, new_a} = ~{old_a, new_a};
        if (hit_b && !OLD) {old_b, new_b} = ~{old_b, new_b};
    end

    // The clock of a port that is never enabled stands still.
    always @(posedge clk_a or posedge clk_b) begin
        if (WIDTH_A != 0 && WIDTH_B != 0 && enable_a && enable_b && !(clk_a && clk_b)) begin
            $fatal(1, "a block memory with two clocks");
        end
        if (ASYNCHRONOUS && ((WIDTH_A != 0 && reset_a) || (WIDTH_B != 0 && reset_b))) begin
            $fatal(1, "an asynchronous reset of a block memory");
        end
        if (both) $fatal(1, "both ports of a block memory write to the same byte");
        if (WIDTH_A != 0) begin
            for (int i = 0; i < count(WIDTH_A); i++) begin
                if (enable_a && bytes_a[i]) begin
                    bytes[first(WIDTH_A, address_a) + place_t'(i)] <= written(
                        WIDTH_A, address_a, in_a, bytes[first(WIDTH_A, address_a) + place_t'(i)], i
                    );
                end
            end
            if (reset_a && (enable_a || !GATED)) out_a <= RESET_A;
            else if (enable_a && bytes_a == 0) out_a <= old_a;
            else if (enable_a && MODE_A != 0) out_a <= MODE_A == 1 ? new_a : old_a;
        end
        if (WIDTH_B != 0) begin
            for (int i = 0; i < count(WIDTH_B); i++) begin
                if (enable_b && bytes_b[i]) begin
                    bytes[first(WIDTH_B, address_b) + place_t'(i)] <= written(
                        WIDTH_B, address_b, in_b, bytes[first(WIDTH_B, address_b) + place_t'(i)], i
                    );
                end
            end
            if (reset_b && (enable_b || !GATED)) out_b <= RESET_B;
            else if (enable_b && bytes_b == 0) out_b <= old_b;
            else if (enable_b && MODE_B != 0) out_b <= MODE_B == 1 ? new_b : old_b;
        end
    end
endmodule
