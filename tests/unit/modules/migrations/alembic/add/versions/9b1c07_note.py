"""a note

Revision ID: 9b1c07
Revises: 3f2a91
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "9b1c07"
down_revision = "3f2a91"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("orders", sa.Column("note", sa.Text(), nullable=True))
    op.create_index("ix_orders_note", "orders", ["note"])


def downgrade() -> None:
    op.drop_index("ix_orders_note", table_name="orders")
    op.drop_column("orders", "note")
