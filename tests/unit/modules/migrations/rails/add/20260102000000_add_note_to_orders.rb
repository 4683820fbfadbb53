class AddNoteToOrders < ActiveRecord::Migration[7.1]
  def change
    add_column :orders, :note, :text # empty for old orders
    add_index :orders, :note
  end
end
