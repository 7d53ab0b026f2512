// Constants, read in order: word `address` of a file.
//
// PARAMETERS
//   WIDTH    bits of a word
//   WORDS    words in the file
//   FILE     one word per line in hexadecimal digits
//   STYLE    "block": block memory; "distributed": lookup tables behind a register; "logic": a function of the address that
//            synthesis melts into what follows
//
// PORTS    enable: take a new address; data: the word, 1 clock later
module rom #(
    parameter int WIDTH = 8,
    parameter int WORDS = 2,
    parameter FILE = "",
    parameter STYLE = "logic",
    parameter int ADDRESS = WORDS > 1 ? $clog2(WORDS) : 1
) (
    input  logic clk,
    input  logic enable,
    input  logic [ADDRESS-1:0] address,
    output logic [WIDTH-1:0] data
);
    generate
        if (STYLE == "block") begin : block
            (* rom_style = "block" *) logic [WIDTH-1:0] words [0:WORDS-1];
            initial $readmemh(FILE, words);
            always_ff @(posedge clk) if (enable) data <= words[address];
        end else if (STYLE == "distributed") begin : distributed
            (* rom_style = "logic" *) logic [WIDTH-1:0] words [0:WORDS-1];
            initial $readmemh(FILE, words);
            always_ff @(posedge clk) if (enable) data <= words[address];
        end else begin : constants
            // The address waits in the register instead of the word: fewer bits, and the constants can be folded.
            (* rom_style = "logic" *) logic [WIDTH-1:0] words [0:WORDS-1];
            logic [ADDRESS-1:0] taken;
            initial $readmemh(FILE, words);
            always_ff @(posedge clk) if (enable) taken <= address;
            assign data = words[taken];
        end
    endgenerate
endmodule
