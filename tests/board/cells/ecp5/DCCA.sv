// Buffer of a global clock of an ECP5; CE is pulled up where nothing drives it (Lattice FPGA-TN-02200).
module DCCA (input logic CLKI, CE, output logic CLKO);
    assign CLKO = CLKI && CE;
endmodule
