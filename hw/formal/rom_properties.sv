// Properties of rom: the word of the file at the address that was taken last.
//
// ENVIRONMENT  addresses below WORDS
module rom_properties #(
    parameter int WIDTH = 4,
    parameter int WORDS = 5,
    parameter STYLE = "logic"
) (
    input logic clk,
    input logic enable,
    input logic [$clog2(WORDS)-1:0] address,
    output logic reached
);
    logic [WIDTH-1:0] data;
    rom #(.WIDTH(WIDTH), .WORDS(WORDS), .FILE("rom.mem"), .STYLE(STYLE)) dut (.*);

    logic [WIDTH-1:0] words [0:WORDS-1];
    initial $readmemh("rom.mem", words);
    logic taken = 0;
    logic [$clog2(WORDS)-1:0] last;
    always_ff @(posedge clk) begin
        taken <= taken || enable;
        if (enable) last <= address;
    end
    assign reached = taken && last == WORDS - 1;
    always_comb begin
        assume (address < WORDS);
        if (taken) assert (data == words[last]);
    end
endmodule
