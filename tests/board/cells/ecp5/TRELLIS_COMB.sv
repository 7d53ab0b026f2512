// Half of a slice of an ECP5 without its flip-flop, as nextpnr places it (Lattice FPGA-DS-02012, section 2.2): a lookup
// table, one with a carry, or 16 bits of memory, and the multiplexer behind it (PFUMX, or L6MUX21 where IS_Z1).
//
// A selects the lowest address bit of the table. A carry goes through where the table is 1, and comes from its lower
// four bits, a function of A and B, where it is 0; CCU2_INJECT1 "YES" keeps a carry out of the sum.
module TRELLIS_COMB #(
    parameter MODE = "LOGIC",
    parameter logic [15:0] INITVAL = '0,
    parameter CCU2_INJECT1 = "NO",
    parameter WREMUX = "WRE",
    parameter WCKMUX = "WCK",
    parameter bit IS_Z1 = 0
) (
    input  logic A, B, C, D, M, FCI, F1, FXA, FXB, DI0, DI1,
    input  logic WD, WAD0, WAD1, WAD2, WAD3, WRE, WCK,
    output logic F, FCO, OFX
);
    wire table_bit = INITVAL[{D, C, B, A}];
    assign OFX = IS_Z1 ? (M ? FXB : FXA) : M ? F1 : F;
    generate
        if (MODE == "LOGIC") begin : logic_mode
            assign F = table_bit;
            assign FCO = 1'b0;
        end else if (MODE == "CCU2") begin : carry_mode
            localparam bit ALONE = CCU2_INJECT1 == "YES";
            assign F = table_bit ^ (FCI && !ALONE);
            assign FCO = table_bit ? FCI : !ALONE && INITVAL[{2'b00, B, A}];
        end else if (MODE == "RAMW_BLOCK") begin : taken
            // The pins of this table serve a write port, see TRELLIS_RAMW.
            assign {F, FCO} = '0;
        end else begin : memory_mode
            if (MODE != "DPRAM" || WREMUX != "WRE" || WCKMUX != "WCK") $fatal(1, "an unknown mode of a slice");
            logic [15:0] words = INITVAL;
            always_ff @(posedge WCK) if (WRE) words[{WAD3, WAD2, WAD1, WAD0}] <= WD;
            assign F = words[{A, C, B, D}];
            assign FCO = 1'b0;
        end
    endgenerate
endmodule
