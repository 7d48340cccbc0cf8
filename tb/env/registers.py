"""Register model of a tile engine for pyuvm, made of `rtl/tile/encmac_registers.rdl`, and its way to the pins."""

from __future__ import annotations

from pyuvm import (
    uvm_access_e,
    uvm_endianness_e,
    uvm_predict_e,
    uvm_reg,
    uvm_reg_adapter,
    uvm_reg_block,
    uvm_reg_bus_op,
    uvm_reg_field,
    uvm_sequence,
    uvm_status_e,
)

from models.hardware.registers import RegisterDescription, registers
from tb.agents.axil import OKAY, Access, AxilAgent

BYTES = 4


class EngineRegister(uvm_reg):
    """One word with its fields, as they are described."""

    def __init__(self, described: RegisterDescription) -> None:
        super().__init__(described.name, 8 * BYTES, False)
        self.described = described

    def build(self, block: uvm_reg_block) -> None:
        """Make the fields."""
        self.configure(block)
        for field in self.described.fields:
            model = uvm_reg_field(field.name)
            model.configure(self, field.width, field.low, field.access, field.volatile, field.reset, True, False, False)
        self.reset()

    def after(self, data: int, strobe: int) -> int:
        """The word that a write asks for: of bytes that are not written, bits that hold something stay."""
        mask = sum(0xFF << 8 * byte for byte in range(BYTES) if strobe >> byte & 1)
        keeps = sum(field.mask for field in self.described.fields if field.access == "RW")
        return data & mask | self.get_mirrored_value() & keeps & ~mask

    def allows(self, value: int, busy: bool) -> bool:
        """True if a write that asks for `value` is answered OKAY, but for rules between fields."""
        fields = [field for field in self.described.fields if field.access != "RO"]
        hindered = [field for field in fields if not field.while_busy and (field.access != "WO" or value & field.mask)]
        return bool(fields) and not value & ~self.described.writable and not (busy and hindered)


class RegisterModel(uvm_reg_block):
    """All registers of an engine of some size; `words` by byte address."""

    def __init__(self, rows: int, columns: int, depth: int) -> None:
        super().__init__("registers")
        self.default_map = self.create_map("map", 0, BYTES, uvm_endianness_e.UVM_LITTLE_ENDIAN)
        self.words: dict[int, EngineRegister] = {}
        for described in registers(rows, columns, depth):
            register = EngineRegister(described)
            register.build(self)
            self.default_map.add_reg(register, described.address, "RW")
            self.words[described.address] = register
        self.lock_model()

    def __getitem__(self, name: str) -> EngineRegister:
        """A register by name."""
        return self.get_reg_by_name(name)

    def connect(self, agent: AxilAgent) -> None:
        """Reads and writes of registers go through this agent."""
        self.default_map.set_sequencer(agent.sequencer, AxilAdapter())
        self.default_map.set_auto_predict(False)

    def write(self, address: int, data: int, strobe: int, busy: bool) -> bool:
        """A write came by: predict the register; False if it must be refused."""
        register = self.words.get(address & ~3)
        if register is None:
            return False
        value = register.after(data, strobe)
        start_and_abort = register.described.name == "CONTROL" and value & 3 == 3
        if not register.allows(value, busy) or start_and_abort:
            return False
        register.predict(value, kind=uvm_predict_e.UVM_PREDICT_WRITE)
        return True


class _WholeAccess(uvm_sequence):
    """Waits for the answer, where the driver is done as soon as it has an access."""

    async def finish_item(self, item: Access) -> None:
        await super().finish_item(item)
        await item.done.wait()


class AxilAdapter(uvm_reg_adapter):
    """Accesses of the register model as those of the bus, and back."""

    def __init__(self) -> None:
        super().__init__("axil")
        self.parent_sequence = _WholeAccess("register")

    def reg2bus(self, rw: uvm_reg_bus_op) -> Access:
        return Access(rw.kind == uvm_access_e.UVM_WRITE, rw.addr, rw.data)

    def bus2reg(self, bus_item: Access, rw: uvm_reg_bus_op) -> None:
        rw.data = bus_item.data
        rw.status = uvm_status_e.UVM_IS_OK if bus_item.response == OKAY else uvm_status_e.UVM_NOT_OK
