// What the 7 series block memories RAMB18E1 and RAMB36E1 have in common: everything but their size. Simulation only.
//
// PARAMETERS
//   PINS     bytes of the data pins of a port: 2 in RAMB18E1, 4 in RAMB36E1
//   SIMPLE   simple dual port mode: port A reads and port B writes; words that are wider than the pins of a port take
//            those of both
//   MODE_A, _B, START_A, _B, RESET_A, _B, DATA, NINTH   see block_memory.sv; all others: see the cells
module block_ram #(
    parameter int PINS = 2,
    parameter bit SIMPLE = 1'b0,
    parameter int READ_WIDTH_A = 0,
    parameter int READ_WIDTH_B = 0,
    parameter int WRITE_WIDTH_A = 0,
    parameter int WRITE_WIDTH_B = 0,
    parameter int MODE_A = 1,
    parameter int MODE_B = 1,
    parameter logic [71:0] START_A = '0,
    parameter logic [71:0] START_B = '0,
    parameter logic [71:0] RESET_A = '0,
    parameter logic [71:0] RESET_B = '0,
    parameter logic [PINS*8192-1:0] DATA = '0,
    parameter logic [PINS*1024-1:0] NINTH = '0,
    parameter int ADDRESS = $clog2(PINS) + 13
) (
    input  logic CLKARDCLK,
    input  logic CLKBWRCLK,
    input  logic ENARDEN,
    input  logic ENBWREN,
    input  logic RSTRAMARSTRAM,
    input  logic RSTRAMB,
    input  logic [ADDRESS-1:0] address_a,
    input  logic [ADDRESS-1:0] address_b,
    input  logic [PINS*8-1:0] DIADI,
    input  logic [PINS*8-1:0] DIBDI,
    input  logic [PINS-1:0] DIPADIP,
    input  logic [PINS-1:0] DIPBDIP,
    input  logic [PINS-1:0] WEA,
    input  logic [PINS*2-1:0] WEBWE,
    output logic [PINS*8-1:0] DOADO,
    output logic [PINS*8-1:0] DOBDO,
    output logic [PINS-1:0] DOPADOP,
    output logic [PINS-1:0] DOPBDOP
);
    localparam int WIDTH_A = READ_WIDTH_A > WRITE_WIDTH_A ? READ_WIDTH_A : WRITE_WIDTH_A;
    localparam int WIDTH_B = READ_WIDTH_B > WRITE_WIDTH_B ? READ_WIDTH_B : WRITE_WIDTH_B;
    // Bits of the pins of a port; a word of twice as many takes the pins of both.
    localparam int PORT = 9 * PINS;
    localparam bit READS_BOTH = SIMPLE && READ_WIDTH_A == 2 * PORT;
    localparam bit WRITES_BOTH = SIMPLE && WRITE_WIDTH_B == 2 * PORT;

    generate
        if (!SIMPLE && ((READ_WIDTH_A != 0 && WRITE_WIDTH_A != 0 && READ_WIDTH_A != WRITE_WIDTH_A)
            || (READ_WIDTH_B != 0 && WRITE_WIDTH_B != 0 && READ_WIDTH_B != WRITE_WIDTH_B))) begin : refused
            $error("RAMB18E1, RAMB36E1: a port that reads and writes different widths is not modelled");
        end
    endgenerate

    // Eight bits of a byte and the ninth one come on different pins.
    function automatic logic [PORT-1:0] joined(logic [PINS*8-1:0] data, logic [PINS-1:0] ninth);
        for (int i = 0; i < PINS; i++) joined[9*i+:9] = {ninth[i], data[8*i+:8]};
    endfunction

    wire [71:0] in_a = 72'(joined(DIADI, DIPADIP));
    wire [71:0] in_b = WRITES_BOTH
        ? 72'({joined(DIBDI, DIPBDIP), joined(DIADI, DIPADIP)}) : 72'(joined(DIBDI, DIPBDIP));
    wire [71:0] out_a, out_b;
    wire [71:0] shown_b = READS_BOTH ? 72'(out_a[2*PORT-1:PORT]) : out_b;
    generate
        for (genvar i = 0; i < PINS; i++) begin : pins
            assign {DOPADOP[i], DOADO[8*i+:8]} = out_a[9*i+:9];
            assign {DOPBDOP[i], DOBDO[8*i+:8]} = shown_b[9*i+:9];
        end
    endgenerate

    block_memory #(
        .BYTES(1024 * PINS),
        .WIDTH_A(WIDTH_A),
        .WIDTH_B(WIDTH_B),
        .MODE_A(MODE_A),
        .MODE_B(MODE_B),
        // With one clock, a port reads what was there before if the other one writes in the mode READ_FIRST.
        .OLD(SIMPLE ? MODE_B == 2 : MODE_A == 2 && MODE_B == 2),
        .GATED(1'b1),
        .START_A(READS_BOTH ? 72'({START_B[PORT-1:0], START_A[PORT-1:0]}) : START_A),
        .START_B(START_B),
        .RESET_A(READS_BOTH ? 72'({RESET_B[PORT-1:0], RESET_A[PORT-1:0]}) : RESET_A),
        .RESET_B(RESET_B),
        .LAYOUT(8),
        .DATA((PINS*10240)'(DATA)),
        .NINTH(NINTH)
    ) memory (
        .clk_a(CLKARDCLK),
        .enable_a(ENARDEN),
        .reset_a(RSTRAMARSTRAM),
        .write_a(SIMPLE ? 8'b0 : WRITE_WIDTH_A > 0 && WRITE_WIDTH_A <= 9 ? {7'b0, WEA[0]} : 8'(WEA)),
        .address_a(address_a),
        .in_a(in_a),
        .out_a(out_a),
        .clk_b(CLKBWRCLK),
        .enable_b(ENBWREN),
        .reset_b(RSTRAMB),
        .write_b(WRITE_WIDTH_B == 0 ? 8'b0 : WRITE_WIDTH_B <= 9 ? {7'b0, WEBWE[0]} : 8'(WEBWE)),
        .address_b(address_b),
        .in_b(in_b),
        .out_b(out_b)
    );
endmodule
