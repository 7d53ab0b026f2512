// 7 series block memory RAMB36E1, without output registers, as Yosys uses it. Simulation only.
//
// UG473, 7 Series FPGAs Memory Resources: ports and attributes of RAMB36E1, write modes, simple dual port mode;
// UG953, Vivado Design Suite 7 Series FPGA Libraries Guide: INIT_xx hold eight bits of each byte, INITP_xx the ninth.
//
// In simple dual port mode port A reads and port B writes; words of 72 bits take the pins of both ports. What
// is not modelled ends the compilation: output registers, cascades, different widths to read and to write of one
// port, inverted pins. Clocks that differ end the simulation.
module RAMB36E1 (
    input  logic CLKARDCLK,
    input  logic CLKBWRCLK,
    input  logic ENARDEN,
    input  logic ENBWREN,
    input  logic REGCEAREGCE,
    input  logic REGCEB,
    input  logic RSTRAMARSTRAM,
    input  logic RSTRAMB,
    input  logic RSTREGARSTREG,
    input  logic RSTREGB,
    input  logic [15:0] ADDRARDADDR,
    input  logic [15:0] ADDRBWRADDR,
    input  logic [31:0] DIADI,
    input  logic [31:0] DIBDI,
    input  logic [3:0] DIPADIP,
    input  logic [3:0] DIPBDIP,
    input  logic [3:0] WEA,
    input  logic [7:0] WEBWE,
    output logic [31:0] DOADO,
    output logic [31:0] DOBDO,
    output logic [3:0] DOPADOP,
    output logic [3:0] DOPBDOP
);
    parameter int DOA_REG = 0;
    parameter int DOB_REG = 0;
    parameter RAM_MODE = "TDP";
    parameter RAM_EXTENSION_A = "NONE";
    parameter RAM_EXTENSION_B = "NONE";
    parameter int READ_WIDTH_A = 0;
    parameter int READ_WIDTH_B = 0;
    parameter int WRITE_WIDTH_A = 0;
    parameter int WRITE_WIDTH_B = 0;
    parameter WRITE_MODE_A = "WRITE_FIRST";
    parameter WRITE_MODE_B = "WRITE_FIRST";
    // Yosys writes them wider than they are.
    parameter logic [71:0] INIT_A = '0;
    parameter logic [71:0] INIT_B = '0;
    parameter logic [71:0] SRVAL_A = '0;
    parameter logic [71:0] SRVAL_B = '0;
    parameter logic [255:0] INIT_00 = '0;
    parameter logic [255:0] INIT_01 = '0;
    parameter logic [255:0] INIT_02 = '0;
    parameter logic [255:0] INIT_03 = '0;
    parameter logic [255:0] INIT_04 = '0;
    parameter logic [255:0] INIT_05 = '0;
    parameter logic [255:0] INIT_06 = '0;
    parameter logic [255:0] INIT_07 = '0;
    parameter logic [255:0] INIT_08 = '0;
    parameter logic [255:0] INIT_09 = '0;
    parameter logic [255:0] INIT_0A = '0;
    parameter logic [255:0] INIT_0B = '0;
    parameter logic [255:0] INIT_0C = '0;
    parameter logic [255:0] INIT_0D = '0;
    parameter logic [255:0] INIT_0E = '0;
    parameter logic [255:0] INIT_0F = '0;
    parameter logic [255:0] INIT_10 = '0;
    parameter logic [255:0] INIT_11 = '0;
    parameter logic [255:0] INIT_12 = '0;
    parameter logic [255:0] INIT_13 = '0;
    parameter logic [255:0] INIT_14 = '0;
    parameter logic [255:0] INIT_15 = '0;
    parameter logic [255:0] INIT_16 = '0;
    parameter logic [255:0] INIT_17 = '0;
    parameter logic [255:0] INIT_18 = '0;
    parameter logic [255:0] INIT_19 = '0;
    parameter logic [255:0] INIT_1A = '0;
    parameter logic [255:0] INIT_1B = '0;
    parameter logic [255:0] INIT_1C = '0;
    parameter logic [255:0] INIT_1D = '0;
    parameter logic [255:0] INIT_1E = '0;
    parameter logic [255:0] INIT_1F = '0;
    parameter logic [255:0] INIT_20 = '0;
    parameter logic [255:0] INIT_21 = '0;
    parameter logic [255:0] INIT_22 = '0;
    parameter logic [255:0] INIT_23 = '0;
    parameter logic [255:0] INIT_24 = '0;
    parameter logic [255:0] INIT_25 = '0;
    parameter logic [255:0] INIT_26 = '0;
    parameter logic [255:0] INIT_27 = '0;
    parameter logic [255:0] INIT_28 = '0;
    parameter logic [255:0] INIT_29 = '0;
    parameter logic [255:0] INIT_2A = '0;
    parameter logic [255:0] INIT_2B = '0;
    parameter logic [255:0] INIT_2C = '0;
    parameter logic [255:0] INIT_2D = '0;
    parameter logic [255:0] INIT_2E = '0;
    parameter logic [255:0] INIT_2F = '0;
    parameter logic [255:0] INIT_30 = '0;
    parameter logic [255:0] INIT_31 = '0;
    parameter logic [255:0] INIT_32 = '0;
    parameter logic [255:0] INIT_33 = '0;
    parameter logic [255:0] INIT_34 = '0;
    parameter logic [255:0] INIT_35 = '0;
    parameter logic [255:0] INIT_36 = '0;
    parameter logic [255:0] INIT_37 = '0;
    parameter logic [255:0] INIT_38 = '0;
    parameter logic [255:0] INIT_39 = '0;
    parameter logic [255:0] INIT_3A = '0;
    parameter logic [255:0] INIT_3B = '0;
    parameter logic [255:0] INIT_3C = '0;
    parameter logic [255:0] INIT_3D = '0;
    parameter logic [255:0] INIT_3E = '0;
    parameter logic [255:0] INIT_3F = '0;
    parameter logic [255:0] INIT_40 = '0;
    parameter logic [255:0] INIT_41 = '0;
    parameter logic [255:0] INIT_42 = '0;
    parameter logic [255:0] INIT_43 = '0;
    parameter logic [255:0] INIT_44 = '0;
    parameter logic [255:0] INIT_45 = '0;
    parameter logic [255:0] INIT_46 = '0;
    parameter logic [255:0] INIT_47 = '0;
    parameter logic [255:0] INIT_48 = '0;
    parameter logic [255:0] INIT_49 = '0;
    parameter logic [255:0] INIT_4A = '0;
    parameter logic [255:0] INIT_4B = '0;
    parameter logic [255:0] INIT_4C = '0;
    parameter logic [255:0] INIT_4D = '0;
    parameter logic [255:0] INIT_4E = '0;
    parameter logic [255:0] INIT_4F = '0;
    parameter logic [255:0] INIT_50 = '0;
    parameter logic [255:0] INIT_51 = '0;
    parameter logic [255:0] INIT_52 = '0;
    parameter logic [255:0] INIT_53 = '0;
    parameter logic [255:0] INIT_54 = '0;
    parameter logic [255:0] INIT_55 = '0;
    parameter logic [255:0] INIT_56 = '0;
    parameter logic [255:0] INIT_57 = '0;
    parameter logic [255:0] INIT_58 = '0;
    parameter logic [255:0] INIT_59 = '0;
    parameter logic [255:0] INIT_5A = '0;
    parameter logic [255:0] INIT_5B = '0;
    parameter logic [255:0] INIT_5C = '0;
    parameter logic [255:0] INIT_5D = '0;
    parameter logic [255:0] INIT_5E = '0;
    parameter logic [255:0] INIT_5F = '0;
    parameter logic [255:0] INIT_60 = '0;
    parameter logic [255:0] INIT_61 = '0;
    parameter logic [255:0] INIT_62 = '0;
    parameter logic [255:0] INIT_63 = '0;
    parameter logic [255:0] INIT_64 = '0;
    parameter logic [255:0] INIT_65 = '0;
    parameter logic [255:0] INIT_66 = '0;
    parameter logic [255:0] INIT_67 = '0;
    parameter logic [255:0] INIT_68 = '0;
    parameter logic [255:0] INIT_69 = '0;
    parameter logic [255:0] INIT_6A = '0;
    parameter logic [255:0] INIT_6B = '0;
    parameter logic [255:0] INIT_6C = '0;
    parameter logic [255:0] INIT_6D = '0;
    parameter logic [255:0] INIT_6E = '0;
    parameter logic [255:0] INIT_6F = '0;
    parameter logic [255:0] INIT_70 = '0;
    parameter logic [255:0] INIT_71 = '0;
    parameter logic [255:0] INIT_72 = '0;
    parameter logic [255:0] INIT_73 = '0;
    parameter logic [255:0] INIT_74 = '0;
    parameter logic [255:0] INIT_75 = '0;
    parameter logic [255:0] INIT_76 = '0;
    parameter logic [255:0] INIT_77 = '0;
    parameter logic [255:0] INIT_78 = '0;
    parameter logic [255:0] INIT_79 = '0;
    parameter logic [255:0] INIT_7A = '0;
    parameter logic [255:0] INIT_7B = '0;
    parameter logic [255:0] INIT_7C = '0;
    parameter logic [255:0] INIT_7D = '0;
    parameter logic [255:0] INIT_7E = '0;
    parameter logic [255:0] INIT_7F = '0;
    parameter logic [255:0] INITP_00 = '0;
    parameter logic [255:0] INITP_01 = '0;
    parameter logic [255:0] INITP_02 = '0;
    parameter logic [255:0] INITP_03 = '0;
    parameter logic [255:0] INITP_04 = '0;
    parameter logic [255:0] INITP_05 = '0;
    parameter logic [255:0] INITP_06 = '0;
    parameter logic [255:0] INITP_07 = '0;
    parameter logic [255:0] INITP_08 = '0;
    parameter logic [255:0] INITP_09 = '0;
    parameter logic [255:0] INITP_0A = '0;
    parameter logic [255:0] INITP_0B = '0;
    parameter logic [255:0] INITP_0C = '0;
    parameter logic [255:0] INITP_0D = '0;
    parameter logic [255:0] INITP_0E = '0;
    parameter logic [255:0] INITP_0F = '0;

    localparam bit SIMPLE = RAM_MODE == "SDP";
    localparam int WIDTH_A = READ_WIDTH_A > WRITE_WIDTH_A ? READ_WIDTH_A : WRITE_WIDTH_A;
    localparam int WIDTH_B = READ_WIDTH_B > WRITE_WIDTH_B ? READ_WIDTH_B : WRITE_WIDTH_B;
    localparam int MODE_A = WRITE_MODE_A == "READ_FIRST" ? 2 : WRITE_MODE_A == "WRITE_FIRST" ? 1 : 0;
    localparam int MODE_B = WRITE_MODE_B == "READ_FIRST" ? 2 : WRITE_MODE_B == "WRITE_FIRST" ? 1 : 0;
    // A word over the pins of both ports.
    localparam bit READS_BOTH = SIMPLE && READ_WIDTH_A == 72;
    localparam bit WRITES_BOTH = SIMPLE && WRITE_WIDTH_B == 72;

    generate
        if (DOA_REG != 0 || DOB_REG != 0 || RAM_EXTENSION_A != "NONE" || RAM_EXTENSION_B != "NONE") begin : refused_form
            $error("RAMB36E1: output registers and cascades are not modelled");
        end
        if (!SIMPLE && ((READ_WIDTH_A != 0 && WRITE_WIDTH_A != 0 && READ_WIDTH_A != WRITE_WIDTH_A)
            || (READ_WIDTH_B != 0 && WRITE_WIDTH_B != 0 && READ_WIDTH_B != WRITE_WIDTH_B))) begin : refused_widths
            $error("RAMB36E1: a port that reads and writes different widths is not modelled");
        end
    endgenerate

    // Eight bits of a byte and the ninth one come on different pins.
    function automatic logic [35:0] joined(logic [31:0] data, logic [3:0] ninth);
        for (int i = 0; i < 4; i++) joined[9*i+:9] = {ninth[i], data[8*i+:8]};
    endfunction

    wire [71:0] in_a = 72'(joined(DIADI, DIPADIP));
    wire [71:0] in_b = WRITES_BOTH
        ? 72'({joined(DIBDI, DIPBDIP), joined(DIADI, DIPADIP)}) : 72'(joined(DIBDI, DIPBDIP));
    wire [71:0] out_a, out_b;
    wire [71:0] shown_b = READS_BOTH ? 72'(out_a[71:36]) : out_b;
    generate
        for (genvar i = 0; i < 4; i++) begin : pins
            assign {DOPADOP[i], DOADO[8*i+:8]} = out_a[9*i+:9];
            assign {DOPBDOP[i], DOBDO[8*i+:8]} = shown_b[9*i+:9];
        end
    endgenerate

    block_memory #(
        .BYTES(4096),
        .WIDTH_A(WIDTH_A),
        .WIDTH_B(WIDTH_B),
        .MODE_A(MODE_A),
        .MODE_B(MODE_B),
        // With one clock, a port reads what was there before if the other one writes in the mode READ_FIRST.
        .OLD(SIMPLE ? MODE_B == 2 : MODE_A == 2 && MODE_B == 2),
        .GATED(1'b1),
        .START_A(READS_BOTH ? 72'({INIT_B[35:0], INIT_A[35:0]}) : INIT_A),
        .START_B(INIT_B),
        .RESET_A(READS_BOTH ? 72'({SRVAL_B[35:0], SRVAL_A[35:0]}) : SRVAL_A),
        .RESET_B(SRVAL_B),
        .LAYOUT(8),
        .DATA(40960'({
            INIT_7F, INIT_7E, INIT_7D, INIT_7C, INIT_7B, INIT_7A, INIT_79, INIT_78,
            INIT_77, INIT_76, INIT_75, INIT_74, INIT_73, INIT_72, INIT_71, INIT_70,
            INIT_6F, INIT_6E, INIT_6D, INIT_6C, INIT_6B, INIT_6A, INIT_69, INIT_68,
            INIT_67, INIT_66, INIT_65, INIT_64, INIT_63, INIT_62, INIT_61, INIT_60,
            INIT_5F, INIT_5E, INIT_5D, INIT_5C, INIT_5B, INIT_5A, INIT_59, INIT_58,
            INIT_57, INIT_56, INIT_55, INIT_54, INIT_53, INIT_52, INIT_51, INIT_50,
            INIT_4F, INIT_4E, INIT_4D, INIT_4C, INIT_4B, INIT_4A, INIT_49, INIT_48,
            INIT_47, INIT_46, INIT_45, INIT_44, INIT_43, INIT_42, INIT_41, INIT_40,
            INIT_3F, INIT_3E, INIT_3D, INIT_3C, INIT_3B, INIT_3A, INIT_39, INIT_38,
            INIT_37, INIT_36, INIT_35, INIT_34, INIT_33, INIT_32, INIT_31, INIT_30,
            INIT_2F, INIT_2E, INIT_2D, INIT_2C, INIT_2B, INIT_2A, INIT_29, INIT_28,
            INIT_27, INIT_26, INIT_25, INIT_24, INIT_23, INIT_22, INIT_21, INIT_20,
            INIT_1F, INIT_1E, INIT_1D, INIT_1C, INIT_1B, INIT_1A, INIT_19, INIT_18,
            INIT_17, INIT_16, INIT_15, INIT_14, INIT_13, INIT_12, INIT_11, INIT_10,
            INIT_0F, INIT_0E, INIT_0D, INIT_0C, INIT_0B, INIT_0A, INIT_09, INIT_08,
            INIT_07, INIT_06, INIT_05, INIT_04, INIT_03, INIT_02, INIT_01, INIT_00
        })),
        .NINTH({
            INITP_0F, INITP_0E, INITP_0D, INITP_0C, INITP_0B, INITP_0A, INITP_09, INITP_08,
            INITP_07, INITP_06, INITP_05, INITP_04, INITP_03, INITP_02, INITP_01, INITP_00
        })
    ) memory (
        .clk_a(CLKARDCLK),
        .enable_a(ENARDEN),
        .reset_a(RSTRAMARSTRAM),
        .write_a(SIMPLE ? 8'b0 : WRITE_WIDTH_A > 0 && WRITE_WIDTH_A <= 9 ? {7'b0, WEA[0]} : 8'(WEA)),
        .address_a(ADDRARDADDR[14:0]),
        .in_a(in_a),
        .out_a(out_a),
        .clk_b(CLKBWRCLK),
        .enable_b(ENBWREN),
        .reset_b(RSTRAMB),
        .write_b(WRITE_WIDTH_B == 0 ? 8'b0 : WRITE_WIDTH_B <= 9 ? {7'b0, WEBWE[0]} : 8'(WEBWE)),
        .address_b(ADDRBWRADDR[14:0]),
        .in_b(in_b),
        .out_b(out_b)
    );
endmodule
