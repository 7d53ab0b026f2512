// Write port of a distributed memory of an ECP5: the pins of a slice's tables carry its address and data.
module TRELLIS_RAMW (
    input  logic A0, B0, C0, D0, A1, B1, C1, D1,
    output logic WADO0, WADO1, WADO2, WADO3, WDO0, WDO1, WDO2, WDO3
);
    assign {WADO3, WADO2, WADO1, WADO0} = {A0, C0, B0, D0};
    assign {WDO3, WDO2, WDO1, WDO0} = {B1, D1, A1, C1};
endmodule
